// What the report draws with: a treemap, bars, a line, and what they need.
import { init, use } from "echarts/core";
import { BarChart, LineChart, TreemapChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

use([
  AriaComponent, BarChart, CanvasRenderer, GridComponent, LineChart, TooltipComponent,
  TreemapChart,
]);

export { init };
