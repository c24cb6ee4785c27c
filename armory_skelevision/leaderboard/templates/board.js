"use strict";
// A click on a heading sorts its table by that column; another click reverses the order.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const falls = head.getAttribute("aria-sort") === "ascending" ||
        (head.getAttribute("aria-sort") !== "descending" && head.dataset.first === "descending");
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        const numeric = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
        return numeric ? x - y : x.localeCompare(y, "en");
      };
      const rows = [...table.tBodies[0].rows].sort((a, b) => (falls ? compare(b, a) : compare(a, b)));
      table.tBodies[0].append(...rows);
    });
  });
}
