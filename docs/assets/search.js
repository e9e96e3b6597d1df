// Two things that the theme's search lacks.
(function () {
  "use strict";

  // A page that is opened from the disk may not start a worker from a file. The build writes the
  // worker's code as a script too, which a page may load; a worker is made of its text.
  if (location.protocol === "file:") {
    var code = new URL("../search/worker.js", document.currentScript.src);
    document.write('<script src="' + code + '"><\/script>');
    window.Worker = class extends window.Worker {
      constructor() {
        super(URL.createObjectURL(new Blob([__worker], { type: "text/javascript" })));
      }
    };
  }

  // The search takes a dash before a word for "without this word", and two for a mistake. Here a dash
  // begins an option: for `--max-requests` the search is given `max requests`.
  var native = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
  document.addEventListener("DOMContentLoaded", function () {
    var input = document.querySelector("[data-md-component=search-query]");
    if (!input) return;
    Object.defineProperty(input, "value", {
      get: function () {
        return native.get.call(this).replace(/(^|\s)-+(\w[\w-]*)/g, function (_, space, name) {
          return space + name.split("-").filter(Boolean).join(" ");
        });
      },
      set: function (text) {
        native.set.call(this, text);
      },
    });
  });
})();
