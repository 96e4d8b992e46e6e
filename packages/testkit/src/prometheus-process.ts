import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type Child, type ChildExit, startChild } from "./child.ts";
import { freePort } from "./free-port.ts";

/** A real Prometheus that scrapes what a test exposes. What it stored is gone with it. */
export interface PrometheusProcess {
  readonly url: string;
  /** SIGKILL. */
  kill(): Promise<ChildExit>;
  /** SIGSTOP: it takes connections and answers nothing. */
  suspend(): void;
  /** SIGCONT. */
  resume(): void;
  /** Starts it again on the same port with what it stored; kills it first if it still runs. */
  restart(): Promise<void>;
  /** Kills it and removes its folder. */
  dispose(): Promise<void>;
}

/** Why tests that need Prometheus cannot run here, or undefined if they can. */
export function whyNoPrometheus(): string | undefined {
  const { error, status } = spawnSync("prometheus", ["--version"], { stdio: "ignore" });
  if (status === 0) return undefined;
  const reason = error ? "is not on the PATH" : `ended with ${status}`;
  return `prometheus ${reason}. Install it (apt-get install prometheus, brew install prometheus) to run this.`;
}

/**
 * @param target host and port of an exporter, scraped every second
 * @param job the label `job` of what is scraped
 */
export async function startPrometheusProcess(target: string, job = "test"): Promise<PrometheusProcess> {
  const port = await freePort();
  const folder = await mkdtemp(path.join(os.tmpdir(), "bunting-prometheus-"));
  const configuration = {
    global: { scrape_interval: "1s", scrape_timeout: "1s" },
    scrape_configs: [{ job_name: job, static_configs: [{ targets: [target] }] }],
  };
  const file = path.join(folder, "prometheus.yml");
  await writeFile(file, JSON.stringify(configuration)); // YAML contains JSON.
  const args = [
    `--config.file=${file}`,
    `--storage.tsdb.path=${path.join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];

  const start = async (): Promise<Child> => {
    const started = await startChild({ command: "prometheus", args });
    await started.printed(/Server is ready to receive web requests/, 30_000);
    return started;
  };

  let child = await start();
  return {
    url: `http://127.0.0.1:${port}`,
    kill: () => child.end("SIGKILL"),
    suspend: () => child.signal("SIGSTOP"),
    resume: () => child.signal("SIGCONT"),
    async restart() {
      await child.end("SIGKILL");
      child = await start();
    },
    async dispose() {
      await child.end("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}
