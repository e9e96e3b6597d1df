"use strict";
(function () {
  var options = JSON.parse(document.getElementById("charts").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var charts = [];
  var tables = [];
  var PRINTED = 40; // rows of a long table that are printed: a journal may have thousands

  function draw(light, still) {
    charts.forEach(function (chart) { chart.dispose(); });
    charts = Object.keys(options).map(function (name) {
      var element = document.getElementById("chart-" + name);
      // SVG is sharp in print and on every screen.
      var chart = echarts.init(element, light ? null : "dark", { renderer: "svg" });
      var calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
      chart.setOption({
        backgroundColor: "transparent",
        animation: !still && !calm,
        animationDuration: 300,
        color: light
          ? ["#2457c5", "#c2410c", "#0f766e", "#7c3aed", "#a16207", "#be185d"]
          : ["#86a8ff", "#ff9d66", "#4fd1c5", "#c4a1ff", "#e8c15a", "#ff8fc0"]
      });
      chart.setOption(options[name]);
      if (options[name].yAxis.type === "category" && element.clientWidth < 500) {
        chart.setOption({ yAxis: { axisLabel: { width: 96 } }, grid: { left: 108 } });
      }
      return chart;
    });
  }

  // Sort, search and filter: without this script the tables show all their rows.
  function enhance(element) {
    var small = element.tBodies[0].rows.length <= 30;
    var table = new DataTable(element, {
      autoWidth: false,
      order: [],
      orderDescReverse: false, // equal rows stay in their order
      paging: !small,
      pageLength: 25,
      lengthMenu: [25, 50, 100, { label: "all", value: -1 }],
      columnDefs: [{ targets: "plain", orderable: false, searchable: false }],
      layout: small
        ? { topStart: null, topEnd: null, bottomStart: null, bottomEnd: null }
        : { topStart: "search", topEnd: "pageLength", bottomStart: "info", bottomEnd: "paging" },
      language: {
        search: "Search", lengthMenu: "_MENU_ rows", info: "_START_ to _END_ of _TOTAL_ rows",
        infoEmpty: "no rows", infoFiltered: "(of _MAX_)", zeroRecords: "No row matches.",
        entries: { _: "rows", 1: "row" }
      }
    });
    document.querySelectorAll("select[data-table='" + element.id + "']").forEach(function (select) {
      table.search.fixed(select.name, function (text, data, index) {
        var values = " " + table.row(index).node().dataset[select.name] + " ";
        return !select.value || values.indexOf(" " + select.value + " ") >= 0;
      });
      select.addEventListener("change", function () { table.draw(); });
    });
    var note = document.createElement("p");
    note.className = "printed";
    element.parentNode.after(note);
    tables.push({ table: table, note: note, length: 25, page: 0 });
  }

  document.querySelectorAll("table.data").forEach(enhance);
  draw(!dark.matches);
  dark.addEventListener("change", function () { draw(!dark.matches); });
  window.addEventListener("resize", function () {
    charts.forEach(function (chart) { chart.resize(); });
  });
  window.addEventListener("beforeprint", function () {
    draw(true, true); // a moving chart would be printed before it has moved
    tables.forEach(function (one) {
      var rows = one.table.rows({ search: "applied" }).count();
      one.length = one.table.page.len();
      one.page = one.table.page();
      one.note.textContent = rows > PRINTED
        ? "The first " + PRINTED + " of " + rows.toLocaleString("en") + " rows, in the order and with the filter of the screen."
        : "";
      one.table.page.len(rows > PRINTED ? PRINTED : -1).page(0).draw(false);
    });
  });
  window.addEventListener("afterprint", function () {
    draw(!dark.matches);
    tables.forEach(function (one) { one.table.page.len(one.length).page(one.page).draw(false); });
  });
})();
