#!/bin/sh
# One night: harvest, tables, report. Made for cron; run it by hand to try it.
#
#     sh nightly.sh --sandbox    a try, in a copy of this folder: no token, no cost
#     sh nightly.sh              with the token of token.env
#
# For the real service: write your categories and your budget into job.toml,
# and the line TMAPI_TOKEN=... into token.env, readable by you alone (chmod
# 600). Everything is in the folder of this script. Options go to `tmapi
# harvest`.
#
# Prints nothing if all is well, so that cron sends no mail; else the end of
# the log. The exit code is that of `tmapi harvest`, or that of `tmapi report`
# if only the report has failed:
#
#     0  complete
#     2  nothing was sent: a mistake in job.toml, or last night's harvest is still
#        running. The journal admits one writer, so no flock is needed
#     3  not complete: the next night continues, and so does another start by hand.
#        Nothing starts it again: each start may spend max_requests anew
#     4  the token or the balance was refused: mend that, then start it by hand
#     1  unexpected failure
set -u
cd "$(dirname "$0")" || exit 1

if [ -f token.env ]; then
    set -a
    . ./token.env
    set +a
fi

touch nightly.log || exit 1
before=$(wc -c <nightly.log)

tmapi harvest --job job.toml "$@" >>nightly.log 2>&1
code=$?
case $code in
0 | 3 | 4) # the journal may hold pages, complete or not
    tmapi report shop.journal -o report.html --quiet >>nightly.log 2>&1
    report=$?
    [ "$code" -ne 0 ] || code=$report
    ;;
esac

[ "$code" -eq 0 ] || tail -c "+$((before + 1))" nightly.log | tail -n 20
exit "$code"
