// What the report does beyond what it says: filter, sort, fold, copy. Without it, all is there.
"use strict";

(() => {
  document.documentElement.classList.add("js");

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, css = "", text = "") => {
    const node = document.createElement(tag);
    if (css) node.className = css;
    node.textContent = text;
    return node;
  };

  // --- numbers, three significant digits as in the rest of the page ---

  const scaled = (value, base, units) => {
    let size = value, step = 0;
    while (step < units.length - 1 && size >= (step ? base - 0.5 : base)) {
      size /= base;
      step += 1;
    }
    if (!step) return `${size} ${units[0]}`.trim();
    const half = size < 10 ? 0.005 : size < 100 ? 0.05 : 0.5;
    const digits = Math.max(0, 3 - String(Math.trunc(size + half)).length);
    return `${size.toFixed(digits)} ${units[step]}`;
  };
  const si = (value) => scaled(value, 1000, ["", "k", "M", "G", "T", "P", "E"]);
  const bytes = (value) => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]);
  const percent = (part, whole) => {
    const share = whole ? (100 * part) / whole : 0;
    return share > 0 && share < 0.05 ? "<0.1 %" : `${share.toFixed(1)} %`;
  };
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  // --- copying ---

  const toast = document.querySelector(".toast");
  const say = (text) => {
    toast.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { toast.textContent = ""; }, 2500);
  };
  const copyByHand = (text) => {
    const area = make("textarea", "offscreen");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  const copy = async (text, words) => {
    const from = document.activeElement;
    try {
      await navigator.clipboard.writeText(text);
      say(words);
    } catch {
      say(copyByHand(text) ? words : "The browser does not let this page copy.");
      from?.focus();
    }
  };
  const setUpCopying = () => {
    for (const node of all(".copy")) {
      const text = node.textContent;
      const button = make("button", "copier", "Copy");
      button.type = "button";
      button.setAttribute("aria-label", `Copy ${text}`);
      button.addEventListener("click", () => copy(text, "Copied"));
      node.after(button);
    }
  };

  // --- findings by what they save ---

  const GAINS = { bytes: ["written", "read"] };
  const gainOf = (card, key) => (GAINS[key] ?? [key])
    .map((name) => card.querySelector(`li[data-key="${name}"]:not(.up)`)?.textContent.trim())
    .filter(Boolean).join(", ");
  const setUpFilter = (article) => {
    const fieldset = article.querySelector(".filter");
    const radios = all("input", fieldset);
    if (!radios.length) return;
    const sections = all(".findings", article).map((section) => ({
      section,
      cards: all(".card", section).map((card) => ({
        card, gain: card.querySelector(".gain"), usual: card.querySelector(".gain").textContent,
      })),
    }));
    const apply = (key) => sections.forEach(({ section, cards }) => {
      const every = key === "all";
      const shown = cards.filter(({ card }) => every || Number(card.dataset[key]) > 0);
      const order = every ? cards
        : [...cards].sort((a, b) => b.card.dataset[key] - a.card.dataset[key]);
      for (const each of order) {
        each.card.hidden = !shown.includes(each);
        each.gain.textContent = every ? each.usual : gainOf(each.card, key);
        section.append(each.card);
      }
      section.hidden = !shown.length;
    });
    radios[0].checked = true;
    fieldset.addEventListener("change", (event) => apply(event.target.value));
    fieldset.hidden = false;
  };

  // --- the layer table ---

  const COLUMNS = ["names", "kinds", "shapes", "params", "macs", "macs", "written", "fields", "codes", "places"];
  const NUMBERS = new Set(["params", "macs", "written", "fields"]);
  const cell = (row, place) => row.cells[place].textContent.trim();

  class LayerTable {
    constructor(section, data) {
      this.section = section;
      this.data = data;
      this.body = section.querySelector("tbody");
      this.rows = [...this.body.rows];
      this.whole = sum(data.macs);
      this.texts = this.rows.map((row) => row.textContent.toLowerCase());
      this.sorted = { column: -1, down: true };
      this.search = section.querySelector("input[type=search]");
      this.fold = section.querySelector("input.fold");
      this.folds = data.folds.map(([name, rows]) => ({ name, rows, open: false }));
      this.folds.forEach((fold) => { fold.row = this.leader(fold); });
      this.listen();
      this.show();
    }

    listen() {
      all("thead th", this.section).forEach((head, column) => {
        const button = make("button", "sort", head.textContent);
        button.type = "button";
        head.replaceChildren(button);
        button.addEventListener("click", () => this.sort(column));
      });
      this.search.addEventListener("input", () => this.show());
      this.fold.addEventListener("change", () => this.show());
      this.fold.closest("label").hidden = !this.folds.length;
      this.section.querySelector(".csv").addEventListener("click", () => this.copy());
      this.section.querySelector(".tools").hidden = false;
    }

    // The row that stands for a fold: sums, and a button that opens it.
    leader(fold) {
      const row = this.rows[fold.rows[0]].cloneNode(true);
      const total = (key) => sum(fold.rows.map((index) => this.data[key][index]));
      const button = make("button", "opener", fold.name);
      button.type = "button";
      button.setAttribute("aria-expanded", "false");
      button.addEventListener("click", () => {
        fold.open = !fold.open;
        button.setAttribute("aria-expanded", String(fold.open));
        this.show();
      });
      row.className = "leader";
      row.cells[0].replaceChildren(button);
      const [params, macs, written] = ["params", "macs", "written"].map(total);
      row.cells[3].textContent = params ? si(params) : "–";
      row.cells[4].textContent = macs ? si(macs) : "–";
      row.cells[5].firstChild.textContent = macs ? percent(macs, this.whole) : "–";
      row.cells[6].textContent = bytes(written);
      row.cells[7].textContent = `… ${cell(this.rows[fold.rows.at(-1)], 7)}`;
      return row;
    }

    sort(column) {
      const numeric = NUMBERS.has(COLUMNS[column]);
      const { column: old, down } = this.sorted;
      if (old !== column) this.sorted = { column, down: numeric };
      else if (down === numeric) this.sorted = { column, down: !numeric };
      else this.sorted = { column: -1, down: true };
      all("thead th", this.section).forEach((head, place) => {
        const here = place === this.sorted.column;
        if (here) head.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
      this.show();
    }

    value(entry, column) {
      const key = COLUMNS[column];
      if (!NUMBERS.has(key)) return cell(entry.row, column).toLowerCase();
      const values = entry.rows.map((index) => this.data[key][index]);
      if (key === "fields") return Math.max(...values.map((v) => (v === -1 ? Infinity : v ?? -1)));
      return sum(values);
    }

    entries() {
      const folding = this.fold.checked;
      const leads = new Map(folding ? this.folds.map((fold) => [fold.rows[0], fold]) : []);
      const inside = new Set(folding ? this.folds.flatMap((fold) => fold.rows) : []);
      const entries = [];
      this.rows.forEach((row, index) => {
        const fold = leads.get(index);
        if (fold) entries.push({ row: fold.row, rows: fold.rows, fold });
        else if (!inside.has(index)) entries.push({ row, rows: [index] });
      });
      return entries;
    }

    matches(index) {
      return this.texts[index].includes(this.search.value.trim().toLowerCase());
    }

    show() {
      const found = this.entries().filter((entry) => entry.rows.some((i) => this.matches(i)));
      const { column, down } = this.sorted;
      if (column >= 0) {
        const keyed = found.map((entry) => [this.value(entry, column), entry]);
        keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
        found.splice(0, found.length, ...keyed.map(([, entry]) => entry));
      }
      const rows = found.flatMap(({ row, rows: members, fold }) => (
        fold?.open ? [row, ...members.map((i) => this.rows[i])] : [row]
      ));
      this.rows.forEach((row) => row.classList.remove("member"));
      this.folds.filter((fold) => fold.open && this.fold.checked)
        .forEach((fold) => fold.rows.forEach((i) => this.rows[i].classList.add("member")));
      this.body.replaceChildren(...rows);
      this.drawBars(found);
      const count = sum(found.map(({ rows: members }) => members.length));
      this.section.querySelector(".shown").textContent =
        `${count.toLocaleString("en")} of ${this.rows.length.toLocaleString("en")} layers`;
    }

    drawBars(found) {
      const macs = found.map(({ rows }) => sum(rows.map((index) => this.data.macs[index])));
      const top = Math.max(...macs, 1);
      found.forEach(({ row }, place) => {
        row.querySelector(".share rect").setAttribute("width", `${(100 * macs[place]) / top}%`);
      });
    }

    reveal(index) {
      this.search.value = "";
      const fold = this.fold.checked && this.folds.find((each) => each.rows.includes(index));
      if (fold && !fold.open) fold.row.querySelector("button").click();
      else this.show();
      const row = this.rows[index];
      row.tabIndex = -1;
      row.focus({ preventScroll: true });
      row.scrollIntoView({ block: "center" });
    }

    copy() {
      const heads = ["module", "kind", "shapes", "params", "macs", "activation_bytes", "bytes_read",
        "receptive_field", "findings", "built_at"];
      const lines = this.rows.flatMap((row, index) => (this.matches(index) ? [[
        this.data.names[index], cell(row, 1), cell(row, 2), this.data.params[index],
        this.data.macs[index], this.data.written[index], this.data.read[index], cell(row, 7),
        cell(row, 8), cell(row, 9),
      ]] : []));
      const safe = (value) => {
        const text = typeof value === "string" && /^[=+\-@]/.test(value) ? `'${value}` : `${value}`;
        return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
      };
      const text = [heads, ...lines].map((line) => line.map(safe).join(",")).join("\n");
      copy(`${text}\n`, `Copied ${lines.length.toLocaleString("en")} layers as CSV`);
    }
  }

  // --- setting up ---

  window.convlint = { all, make, si, bytes, percent, sum };
  setUpCopying();
  for (const article of all("article")) {
    setUpFilter(article);
    const section = article.querySelector(".layer-table");
    if (!section) continue;
    const data = JSON.parse(section.querySelector(".data").textContent);
    const table = new LayerTable(section, data);
    const picture = article.querySelector(".picture");
    if (picture) window.convlint.pictures = [...(window.convlint.pictures ?? []), { picture, data, table }];
  }
})();
