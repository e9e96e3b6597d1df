"""Care of a whole journal: verify it, copy it, save a damaged one, decode its rejects again."""
