"use strict";
// Tables sort by a click on a head, or by Enter or Space with it in focus; a second time the other way round.
// A table of more than 20 rows shows the first 20 of the order it has, and says so.
const FEW = 20;
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  const count = body.rows.length;
  let whole = count <= FEW + 2;
  const fold = () => { [...body.rows].forEach((row, place) => { row.hidden = !whole && place >= FEW; }); };
  if (!whole) {
    const line = document.createElement("p");
    const shown = document.createElement("span");
    const more = document.createElement("button");
    more.type = "button";
    const say = () => {
      const all = `${count.toLocaleString("en")} ${table.dataset.things}`;
      shown.textContent = whole ? `All ${all} are shown.` : `${FEW} of ${all} are shown.`;
      more.textContent = whole ? `Show ${FEW}` : "Show all";
    };
    more.addEventListener("click", () => { whole = !whole; fold(); say(); });
    line.className = "more";
    line.append(shown, more);
    table.after(line);
    fold();
    say();
  }
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    const numeric = head.classList.contains("number");
    const key = (row) => {
      const cell = row.cells[place];
      if (!numeric) return cell.textContent;
      return cell.dataset.key === "" ? null : Number(cell.dataset.key);
    };
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const down = before === null ? numeric : before === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [key(row), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null); // what is missing stays at the end
        const order = numeric ? a - b : a.localeCompare(b, undefined, { numeric: true });
        return down ? -order : order;
      });
      body.append(...rows.map(([, row]) => row));
      fold();
    });
  });
}
const theme = document.getElementById("theme");
const root = document.documentElement;
const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const say = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `${theme.textContent} colours`); };
theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; say(); });
theme.hidden = false;
say();
