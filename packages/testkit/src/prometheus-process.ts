import { writeFile } from "node:fs/promises";
import path from "node:path";
import { type Program, startProgram, whyNotInstalled } from "./program.ts";

/** A real Prometheus that scrapes what a test exposes. What it stored survives a restart, and is gone with it. */
export interface PrometheusProcess extends Program {
  readonly url: string;
}

/** Why tests that need Prometheus cannot run here, or undefined if they can. */
export function whyNoPrometheus(): string | undefined {
  return whyNotInstalled("prometheus", "apt-get install prometheus, brew install prometheus");
}

/**
 * @param target host and port of an exporter, scraped every second
 * @param options.job the label `job` of what is scraped
 * @param options.remoteRead where it looks for the rest of its data
 */
export async function startPrometheusProcess(
  target: string,
  { job = "test", remoteRead }: { readonly job?: string; readonly remoteRead?: string } = {},
): Promise<PrometheusProcess> {
  const configuration = {
    global: { scrape_interval: "1s", scrape_timeout: "1s" },
    scrape_configs: [{ job_name: job, static_configs: [{ targets: [target] }] }],
    ...(remoteRead !== undefined && { remote_read: [{ url: remoteRead, read_recent: true }] }),
  };
  const prometheus = await startProgram({
    command: "prometheus",
    async args({ port, folder }) {
      const file = path.join(folder, "prometheus.yml");
      await writeFile(file, JSON.stringify(configuration)); // YAML contains JSON.
      return [
        `--config.file=${file}`,
        `--storage.tsdb.path=${path.join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ];
    },
    ready: /Server is ready to receive web requests/,
  });
  return { ...prometheus, url: `http://127.0.0.1:${prometheus.port}` };
}
