import { Gauge, type Registry } from "prom-client";

/** A gauge that is read when somebody asks, instead of being kept up to date. */
export function readGauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
