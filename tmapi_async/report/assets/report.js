"use strict";
(function () {
  var options = JSON.parse(document.getElementById("charts").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var charts = [];

  function draw(light) {
    charts.forEach(function (chart) { chart.dispose(); });
    charts = Object.keys(options).map(function (name) {
      var element = document.getElementById("chart-" + name);
      // SVG is sharp in print and on every screen.
      var chart = echarts.init(element, light ? null : "dark", { renderer: "svg" });
      var motion = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      chart.setOption({
        backgroundColor: "transparent",
        animation: !motion,
        animationDuration: 300,
        color: light
          ? ["#2457c5", "#c2410c", "#0f766e", "#7c3aed", "#a16207", "#be185d"]
          : ["#86a8ff", "#ff9d66", "#4fd1c5", "#c4a1ff", "#e8c15a", "#ff8fc0"]
      });
      chart.setOption(options[name]);
      return chart;
    });
  }

  draw(!dark.matches);
  dark.addEventListener("change", function () { draw(!dark.matches); });
  window.addEventListener("resize", function () {
    charts.forEach(function (chart) { chart.resize(); });
  });
  window.addEventListener("beforeprint", function () { draw(true); });
  window.addEventListener("afterprint", function () { draw(!dark.matches); });

  var button = document.getElementById("pictures");
  if (button) {
    button.addEventListener("click", function () {
      document.querySelectorAll("img[data-picture]").forEach(function (image) {
        image.src = image.dataset.picture;
      });
      button.disabled = true;
    });
  }
})();
