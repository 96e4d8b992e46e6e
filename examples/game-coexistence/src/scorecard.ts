import { holds } from "./limit.ts";
import { ASSERTIONS, type Assertion, type Metric, type MetricName } from "./metrics.ts";

/** Everything that was measured, and what follows from it. */
export class Scorecard {
  readonly metrics: Readonly<Record<MetricName, Metric>>;
  private readonly measured = new Map<MetricName, number[]>();

  constructor(metrics: Readonly<Record<MetricName, Metric>>) {
    this.metrics = metrics;
  }

  /** @returns Whether the value is within its limit. */
  add(name: MetricName, value: number): boolean {
    this.measured.set(name, [...this.valuesOf(name), value]);
    return holds(this.metrics[name].limit, value);
  }

  valuesOf(name: MetricName): readonly number[] {
    return this.measured.get(name) ?? [];
  }

  /** What was never measured does not hold. */
  metricHolds(name: MetricName): boolean {
    const values = this.valuesOf(name);
    return values.length > 0 && values.every((value) => holds(this.metrics[name].limit, value));
  }

  assertionHolds(assertion: Assertion): boolean {
    return this.names().every((name) => this.metrics[name].assertion !== assertion || this.metricHolds(name));
  }

  get isPassed(): boolean {
    return ASSERTIONS.every((assertion) => this.assertionHolds(assertion));
  }

  names(): readonly MetricName[] {
    return Object.keys(this.metrics) as MetricName[];
  }
}
