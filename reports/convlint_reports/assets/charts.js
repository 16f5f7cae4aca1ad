// The interactive pictures: the same numbers as the still ones, with a choice of quantity.
"use strict";

(() => {
  const { all, make, si, bytes, percent, sum } = window.convlint;
  const FORMS = { macs: (v) => `${si(v)}MACs`, params: (v) => `${si(v)} params`, written: bytes };
  const DECALS = {
    retrain: { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: Math.PI / 4 },
    note: { symbol: "circle", symbolSize: 0.6, dashArrayX: [[4, 4]], dashArrayY: [4, 2] },
    budget: { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 3], rotation: -Math.PI / 4 },
  };

  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(`--${name}`).trim();
    const names = ["paper", "card", "sunk", "ink", "soft", "line", "tile", "tile-ink"];
    const colors = Object.fromEntries(names.map((name) => [name, get(name)]));
    const fills = { "": get("tile") };
    for (const mark of ["exact", "retrain", "note", "budget"]) fills[mark] = get(`${mark}-fill`);
    return { ...colors, fills, sans: getComputedStyle(document.body).fontFamily };
  };

  const fill = (mark, look) => {
    const decal = DECALS[mark];
    return { color: look.fills[mark], decal: decal && { ...decal, color: `${look["tile-ink"]}2b` } };
  };

  // --- the words that follow the pointer: nodes, never markup ---

  const words = (data, index, key) => {
    const box = make("div", "tip");
    const total = sum(data[key]);
    box.append(make("strong", "", data.names[index]));
    box.append(make("div", "", `${FORMS[key](data[key][index])}, ${percent(data[key][index], total)}`));
    const side = data.sides[index], field = data.fields[index];
    const facts = [side && `output ${side}×${side}`, field && `field ${field < 0 ? "∞" : field}`];
    box.append(make("div", "soft", facts.filter(Boolean).join(", ")));
    return box;
  };
  const tooltip = (look, formatter) => ({
    confine: true, formatter, backgroundColor: look.card, borderColor: look.line, padding: 8,
    textStyle: { color: look.ink, fontSize: 12.5, fontFamily: look.sans }, transitionDuration: 0,
  });

  // --- the treemap ---

  // A label is shown where its tile is about large enough for it: "c…" tells nothing.
  const tree = (data, key, look, area) => {
    const root = { children: new Map() };
    const unit = area / sum(data[key]);
    data[key].forEach((value, index) => {
      if (!value) return;
      const path = data.names[index].split(".");
      let node = root;
      for (const name of path.slice(0, -1)) {
        if (!node.children.has(name)) node.children.set(name, { name, children: new Map() });
        node = node.children.get(name);
      }
      const show = path.at(-1).length * 6.5 + 12 < 1.25 * Math.sqrt(value * unit);
      const itemStyle = fill(data.marks[index], look);
      const leaf = { name: path.at(-1), value, index, itemStyle, label: { show } };
      node.children.set(`${path.at(-1)} ${index}`, leaf);
    });
    return listed(root);
  };
  const listed = (node) => [...node.children.values()].map((child) => {
    if (!child.children) return child;
    const children = listed(child);
    if (children.length > 1) return { name: child.name, children, value: sum(children.map((c) => c.value)) };
    return { ...children[0], name: `${child.name}.${children[0].name}` };
  });
  const mapOption = (data, key, look, area) => {
    const head = (size, weight) => ({
      show: true, height: 20, color: look.ink, fontSize: size, fontWeight: weight, fontFamily: look.sans,
      padding: [0, 0, 0, 6],
    });
    return {
      animation: false,
      tooltip: tooltip(look, ({ data: node, name, value }) => {
        if (node?.index !== undefined) return words(data, node.index, key);
        const box = make("div", "tip");
        box.append(make("strong", "", name || "the model"));
        box.append(make("div", "", `${FORMS[key](value)}, ${percent(value, sum(data[key]))}`));
        return box;
      }),
      series: [{
        type: "treemap", data: tree(data, key, look, area), name: data.target, roam: false, nodeClick: false,
        left: 0, right: 0, top: 0, bottom: 0, breadcrumb: { show: false }, visibleMin: 4,
        squareRatio: 1.1, childrenVisibleMin: 60,
        label: {
          color: look["tile-ink"], fontSize: 11.5, fontFamily: look.sans, position: "insideTopLeft",
          distance: 6, overflow: "truncate", ellipsis: "…",
        },
        emphasis: { itemStyle: { borderColor: look.ink }, upperLabel: { show: true } },
        levels: [
          { itemStyle: { borderColor: look.paper, borderWidth: 0, gapWidth: 3 }, upperLabel: { show: false } },
          { itemStyle: { borderColor: look.sunk, borderWidth: 2, gapWidth: 1 }, upperLabel: head(12, 650) },
          { itemStyle: { borderColor: look.line, borderWidth: 1, gapWidth: 1 }, upperLabel: head(11, 500) },
          { itemStyle: { borderColor: look.paper, borderWidth: 0, gapWidth: 1 }, upperLabel: { show: false } },
          { itemStyle: { borderColor: look.paper, borderWidth: 0, gapWidth: 1 }, upperLabel: { show: false } },
        ],
      }],
    };
  };

  // --- the strip ---

  const parts = (names) => {
    const first = names.map((name) => name.split("."));
    let depth = 0;
    const shortest = Math.min(...first.map((path) => path.length));
    while (depth < shortest - 1 && first.every((path) => path[depth] === first[0][depth])) depth += 1;
    return first.map((path) => path[depth]);
  };
  const axis = (look, more) => ({
    axisLine: { lineStyle: { color: look.soft } }, axisTick: { show: false }, splitLine: { show: false },
    axisLabel: { color: look.soft, fontSize: 11, fontFamily: look.sans }, ...more,
  });
  const stripOption = (data, key, track, look) => {
    const shown = data[key].map((value, index) => index).filter((index) => data[key][index]);
    const named = parts(shown.map((index) => data.names[index]));
    const starts = new Set(named.map((name, i) => (name === named[i - 1] ? -1 : i)));
    const trackOf = (index) => (data[track][index] > 0 ? data[track][index] : null);
    const label = { interval: (i) => starts.has(i), formatter: (_, i) => named[i] ?? "", hideOverlap: true,
      align: "left", color: look.soft, fontSize: 11, fontFamily: look.sans, width: 120, overflow: "truncate" };
    return {
      animation: false,
      tooltip: { ...tooltip(look, (found) => words(data, shown[found[0].dataIndex], key)), trigger: "axis",
        axisPointer: { type: "shadow", shadowStyle: { color: `${look.soft}22` } } },
      axisPointer: { link: [{ xAxisIndex: "all" }] },
      grid: [{ left: 46, right: 4, top: 6, height: 128 }, { left: 46, right: 4, top: 146, height: 54 }],
      xAxis: [
        axis(look, { type: "category", data: shown, gridIndex: 0, axisLabel: { show: false } }),
        axis(look, { type: "category", data: shown, gridIndex: 1, axisLabel: label }),
      ],
      yAxis: [
        axis(look, { type: "value", gridIndex: 0, splitNumber: 2, axisLine: { show: false },
          axisLabel: { color: look.soft, fontSize: 11, formatter: (v) => (key === "written" ? bytes(v) : si(v)) } }),
        axis(look, { type: "log", logBase: 2, gridIndex: 1, splitNumber: 2, axisLine: { show: false },
          axisLabel: { color: look.soft, fontSize: 11, hideOverlap: true } }),
      ],
      series: [
        { type: "bar", xAxisIndex: 0, yAxisIndex: 0, barCategoryGap: "14%", barMinHeight: 1,
          data: shown.map((index) => ({ value: data[key][index], itemStyle: fill(data.marks[index], look) })) },
        { type: "line", xAxisIndex: 1, yAxisIndex: 1, step: "middle", symbol: "none", connectNulls: false,
          lineStyle: { color: look.soft, width: 1.5 }, areaStyle: { color: look.soft, opacity: 0.14 },
          data: shown.map(trackOf) },
      ],
    };
  };

  // --- one picture a model, drawn when it comes into view ---

  class Picture {
    constructor({ picture, data, table }) {
      Object.assign(this, { picture, data, table, charts: [] });
      const tools = picture.querySelector(".tools");
      tools.hidden = false;
      tools.addEventListener("change", () => this.draw());
      const holders = all(".chart", picture);
      holders.forEach((holder) => { holder.hidden = false; });
      picture.classList.add("live");
      const seen = new IntersectionObserver((found) => {
        if (!found.some((each) => each.isIntersecting)) return;
        seen.disconnect();
        this.start(holders);
      }, { rootMargin: "400px" });
      seen.observe(picture);
    }

    start(holders) {
      this.charts = holders.map((holder) => window.echarts.init(holder, null, { renderer: "canvas" }));
      holders.forEach((holder, place) => {
        new ResizeObserver(() => this.charts[place].resize()).observe(holder);
      });
      this.charts[0].on("click", ({ data: node }) => this.open(node?.index));
      this.charts[1].on("click", ({ name }) => this.open(Number(name)));
      this.draw();
      window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    }

    chosen(css) {
      return this.picture.querySelector(`.${css} input:checked`).value;
    }

    draw() {
      if (!this.charts.length) return;
      const key = this.chosen("of"), look = theme();
      const area = this.charts[0].getWidth() * this.charts[0].getHeight();
      this.charts[0].setOption(mapOption(this.data, key, look, area), true);
      this.charts[1].setOption(stripOption(this.data, key, this.chosen("track"), look), true);
      this.picture.dataset.shows = key;
    }

    // A layer with a finding leads to it, any other to its row.
    open(index) {
      if (index === undefined || Number.isNaN(index)) return;
      const link = this.table.rows[index].querySelector("a");
      if (link) window.location.hash = link.hash;
      else this.table.reveal(index);
    }
  }

  if (!window.echarts) return;
  for (const each of window.convlint.pictures ?? []) new Picture(each);
})();
