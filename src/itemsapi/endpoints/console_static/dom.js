/** DOM helpers. Text is always a text node, so user input cannot become markup. */

/**
 * Make an element. Props that begin with "on" are listeners; false and null are skipped.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export const h = (tag, props = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") /** @type {HTMLInputElement} */ (element).value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child || child === "") element.append(child);
  return element;
};

const PATHS = {
  items: "M4 7.5 12 3l8 4.5v9L12 21l-8-4.5zM4 7.5l8 4.5 8-4.5M12 12v9",
  sessions: "M4 5h16v11H4zM9 20h6M12 16v4",
  account: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5",
  users: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c.6-3.800 3-5.5 6.5-5.5s5.900 1.700 6.5 5.5M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.800c2 .7 3.200 2.400 3.600 5.200",
  roles: "M12 3l7.5 3v5.5c0 4.5-3 7.700-7.5 9.5-4.5-1.800-7.5-5-7.5-9.5V6zM9 12l2.200 2.200L15.200 10",
  audit: "M6 3h9l4 4v14H6zM14.5 3v4.5H19M9.5 12h6M9.5 16h6",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  plus: "M12 5v14M5 12h14",
  leave: "M14 4H5v16h9M10 12h11M17.5 8.5 21 12l-3.5 3.5",
};

/** Make an icon that is hidden from screen readers. @param {keyof typeof PATHS} name */
export const icon = (name) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
};

/**
 * Make a table, on narrow screens a card per row. Explicit roles keep the table semantics there.
 * @template Row
 * @param {string} caption
 * @param {{label: string, cell: (row: Row) => Node | string, class?: string}[]} columns
 * @param {Row[]} rows
 */
export const table = (caption, columns, rows) =>
  h(
    "table",
    { role: "table" },
    h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...columns.map(heading))),
    h("tbody", { role: "rowgroup" }, ...rows.map((row) => line(columns, row))),
  );

/** @param {{label: string, class?: string}} column */
const heading = (column) =>
  h("th", { scope: "col", role: "columnheader", class: column.class }, column.label);

/** @param {any[]} columns @param {any} row */
const line = (columns, row) =>
  h("tr", { role: "row" }, ...columns.map((column) => cell(column, row)));

/** @param {any} column @param {any} row */
const cell = (column, row) =>
  h("td", { role: "cell", class: column.class, "data-label": column.label }, column.cell(row));

/** @param {string} text @param {string} [kind] */
export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);

/** Make a list of badges, or the text `none` if there are none. @param {string[]} words @param {string} none */
export const badges = (words, none) =>
  words.length ? h("span", { class: "tags" }, ...words.map((word) => badge(word))) : h("span", { class: "none" }, none);

/**
 * Make a list of names with their meaning, or the text `none` if there are none.
 * @param {{name: string, meaning: string | null}[]} entries @param {string} none
 */
export const meanings = (entries, none) =>
  entries.length
    ? h("ul", { class: "meanings" }, ...entries.map(({ name, meaning }) => h("li", {}, meaning && `${meaning} `, h("code", {}, name))))
    : h("span", { class: "none" }, none);

/** Make the placeholder of an empty list. @param {string} text @param {...Node} children */
export const empty = (text, ...children) => h("div", { class: "empty" }, h("p", {}, text), ...children);
