"use strict";
// Recounts what a threshold keeps from the bars of the histograms.
(() => {
  const slider = document.getElementById("threshold");
  if (!slider) return;
  const charts = [...document.querySelectorAll(".histogram")];
  const rows = [...document.querySelectorAll("#counts tbody tr")];
  const percent = (part, whole) => whole ? (100 * part / whole).toFixed(1) + " %" : "–";
  const show = (row, c) => {
    const cells = row.querySelectorAll("td");
    cells[0].textContent = c.kept.toLocaleString("en");
    cells[1].textContent = percent(c.kept, c.total);
    if (cells.length > 2) {
      cells[2].textContent = percent(c.keptRight, c.keptRight + c.keptWrong);
      cells[3].textContent = percent(c.keptRight, c.right);
    }
  };
  const update = () => {
    const threshold = Number(slider.value);
    document.getElementById("value").textContent = threshold.toFixed(3);
    const all = { kept: 0, total: 0, right: 0, keptRight: 0, keptWrong: 0 };
    charts.forEach((chart, k) => {
      const c = { kept: 0, total: 0, right: 0, keptRight: 0, keptWrong: 0 };
      chart.querySelectorAll("rect").forEach((bar) => {
        const { from, n, right, wrong } = bar.dataset;
        const cut = Number(from) < threshold - 1e-9;
        bar.classList.toggle("cut", cut);
        c.total += Number(n);
        c.right += Number(right);
        if (cut) return;
        c.kept += Number(n);
        c.keptRight += Number(right);
        c.keptWrong += Number(wrong);
      });
      show(rows[k], c);
      for (const name in all) all[name] += c[name];
    });
    show(rows[rows.length - 1], all);
  };
  slider.addEventListener("input", update);
  update();
})();
