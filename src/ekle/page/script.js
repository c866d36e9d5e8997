// Unpacks Plotly, and draws the plots in the colours of the style sheet; again when the theme changes. A plot
// in closed details has no width, so it waits until they are opened.
(() => {
  "use strict";
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const config = { displayModeBar: false, responsive: true };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const paintTrace = (trace) => {
    const own = colour(trace.meta);
    const painted = { ...trace, marker: { ...trace.marker, color: own }, line: { width: 2.5, ...trace.line, color: own } };
    if (trace.marker?.line) painted.marker.line = { ...trace.marker.line, color: own };
    // The half of an interval that lies on its own bar would not be seen in the bar's colour.
    if (trace.error_x) painted.error_x = { ...trace.error_x, color: trace.type === "bar" ? colour("ink") : own };
    if (trace.type === "bar") delete painted.line;
    return painted;
  };

  const paintLayout = (layout) => {
    const axis = (own) => ({
      gridcolor: colour("rule"),
      zerolinecolor: colour("rule"),
      linecolor: colour("rule"),
      ticks: "",
      ...own,
      title: own.title && { ...own.title, standoff: 12, font: { size: 13, color: colour("muted") } },
    });
    return {
      ...layout,
      xaxis: axis(layout.xaxis),
      yaxis: { ...axis(layout.yaxis), ticksuffix: layout.yaxis.type === "category" ? "  " : "" },
      paper_bgcolor: "transparent",
      plot_bgcolor: "transparent",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("ink") },
      margin: { l: 8, r: 8, t: layout.showlegend === false ? 12 : 40, b: 48 },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", xanchor: "left", traceorder: "normal" },
      hoverlabel: { bgcolor: colour("paper"), bordercolor: colour("rule"), font: { color: colour("ink") } },
      dragmode: false,
    };
  };

  const draw = () => {
    for (const [name, plot] of Object.entries(plots)) {
      const place = document.getElementById(`plot-${name}`);
      if (place?.offsetWidth) Plotly.react(place, plot.data.map(paintTrace), paintLayout(plot.layout), config);
    }
  };

  const load = async () => {
    const packed = atob(document.getElementById("plotly").textContent);
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const library = document.createElement("script");
    library.textContent = await new Response(stream).text();
    document.head.append(library);
  };

  const begin = async () => {
    if (!("DecompressionStream" in window)) {
      for (const place of document.querySelectorAll(".plot")) {
        place.textContent = "This plot needs a browser of 2023 or later; the tables hold the same figures.";
      }
      return;
    }
    await load();
    draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.addEventListener("toggle", draw, true);
    addEventListener("beforeprint", () => {
      for (const closed of document.querySelectorAll("details")) closed.open = true;
      draw();
    });
    document.documentElement.dataset.drawn = "yes"; // for those who wait for it
  };

  begin();
})();
