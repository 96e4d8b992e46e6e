import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createFakeTime, eventually, startPrometheusProcess, whyNoPrometheus } from "@bunting/testkit";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";
import { createNodeScheduler } from "../platform/node.ts";
import {
  ANSWER_LIMIT_BYTES,
  createPrometheus,
  type PrometheusOptions,
  QUERY_TIMEOUT_MS,
  readAnswer,
} from "./prometheus.ts";

type Handler = (request: IncomingMessage & { readonly body: string }, response: ServerResponse) => void;

const servers: http.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Something that calls itself a Prometheus. */
async function serve(handler: Handler): Promise<string> {
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => handler(Object.assign(request, { body: Buffer.concat(chunks).toString() }), response));
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const asking = (baseUrl: string, more: Partial<PrometheusOptions> = {}) => {
  const source = createPrometheus({ baseUrl, authorization: null, scheduler: createNodeScheduler(), ...more });
  return (query = "up") => source.query(query, new AbortController().signal);
};

const vector = (...values: string[]) =>
  JSON.stringify({
    status: "success",
    data: { resultType: "vector", result: values.map((value) => ({ metric: {}, value: [1, value] })) },
  });

describe("TE-108 an answer of Prometheus", () => {
  it.each([
    ["the only sample", vector("0.25"), { value: 0.25 }],
    ["several samples", vector("0", "5", "0"), { error: /3 values and not one/ }],
    ["a scalar", '{"status":"success","data":{"resultType":"scalar","result":[1,"-1.5e-07"]}}', { value: -1.5e-7 }],
    ["no series", vector(), { value: null }],
    ["NaN", vector("NaN"), { value: null }],
    ["infinity", vector("+Inf"), { value: null }],
    ["minus infinity", vector("-Inf"), { value: null }],
    ["a warning beside the value", vector("3").replace("{", '{"warnings":["x"],'), { error: /warned/ }],
    ["a warning beside no value", vector().replace("{", '{"warnings":["x"],'), { error: /warned/ }],
    ["marked as partial, as by VictoriaMetrics", vector("3").replace("{", '{"isPartial":true,'), { error: /warned/ }],
    ["marked as whole", vector("3").replace("{", '{"isPartial":false,'), { value: 3 }],
    ["notes beside the value", vector("3").replace("{", '{"infos":["x"],'), { value: 3 }],
    // Until 2.52 these were among the warnings.
    ["such a note of an old one", vector("3").replace("{", '{"warnings":["PromQL info: x"],'), { value: 3 }],
    ["a matrix", '{"status":"success","data":{"resultType":"matrix","result":[]}}', { error: /matrix and no value/ }],
    [
      "a text",
      '{"status":"success","data":{"resultType":"string","result":[1,"2"]}}',
      { error: /string and no value/ },
    ],
    [
      "a histogram",
      '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}',
      { error: /histogram and no value/ },
    ],
    ["a word for a number", vector("many"), { error: /no number/ }],
    ["an empty number", vector(""), { error: /no number/ }],
    ["a hexadecimal number", vector("0x10"), { error: /no number/ }],
    ["more than a number can hold", vector("1e999"), { error: /no number/ }],
    ["HTML", "<html>sign in</html>", { error: /no result of a query/ }],
    ["nothing", "", { error: /no result of a query/ }],
    ["an error with status 200", '{"status":"error","errorType":"bad_data"}', { error: /no result of a query/ }],
  ])("that is %s", (_title, text, expected) => {
    const result = readAnswer(200, text);
    if ("value" in expected) expect(result).toEqual(expected);
    else expect(result).toEqual({ error: expect.stringMatching(expected.error) });
  });

  it("of another status is an error, with Prometheus's word for it and nothing else of its text", () => {
    const text = '{"status":"error","errorType":"bad_data","error":"secret at char 5"}';
    expect(readAnswer(400, text)).toEqual({ error: "Prometheus answered 400 (bad_data)" });
    expect(readAnswer(502, "<html>secret</html>")).toEqual({ error: "Prometheus answered 502" });
    expect(readAnswer(500, '{"status":"error","errorType":"secret"}')).toEqual({ error: "Prometheus answered 500" });
    expect(readAnswer(503, vector("1"))).toEqual({ error: "Prometheus answered 503" });
  });
});

describe("TE-109 a query", () => {
  it("goes to the configured address as a form body, whatever is in it", async () => {
    const seen: string[] = [];
    const url = await serve((request, response) => {
      seen.push(
        `${request.method} ${request.url} ${request.headers.host} ${new URLSearchParams(request.body).get("query")}`,
      );
      response.end(vector("1"));
    });
    const ask = asking(`${url}/prefix`);
    const queries = ["up", "&query=other", "http://evil.example/", "../../admin", "x\r\nHost: evil", "@evil.example#?"];
    for (const query of queries) expect(await ask(query)).toEqual({ value: 1 });
    const host = url.slice("http://".length);
    expect(seen).toEqual(queries.map((query) => `POST /prefix/api/v1/query ${host} ${query}`));
  });

  it("follows no redirect", async () => {
    let asked = 0;
    const elsewhere = await serve((_request, response) => {
      asked += 1;
      response.end(vector("1"));
    });
    const url = await serve((_request, response) => {
      response.writeHead(307, { location: `${elsewhere}/api/v1/query` }).end();
    });
    expect(await asking(url)()).toEqual({ error: "Prometheus answered 307" });
    expect(asked).toBe(0);
  });

  it("takes no proxy from the environment", async () => {
    const url = await serve((_request, response) => response.end(vector("1")));
    const proxy = await serve((_request, response) => response.end(vector("666")));
    const before = { ...process.env };
    onTestFinished(() => void (process.env = before));
    Object.assign(process.env, { http_proxy: proxy, HTTP_PROXY: proxy, NODE_USE_ENV_PROXY: "1" });
    expect(await asking(url)()).toEqual({ value: 1 });
  });

  it("carries the operator's credentials, read anew each time from a file", async () => {
    const seen: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end(vector("1"));
    });
    const folder = mkdtempSync(path.join(tmpdir(), "bunting-credentials-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, "authorization");
    await asking(url)();
    await asking(url, { authorization: "Basic dTpw" })();
    const ask = asking(url, { authorization: { file } });
    expect(await ask()).toEqual({ error: "the credentials for Prometheus cannot be read" });
    writeFileSync(file, "Bearer one\n");
    await ask();
    writeFileSync(file, "Bearer two\r\nX-Other: 1");
    expect(await ask()).toEqual({ error: "the credentials for Prometheus cannot be read" });
    writeFileSync(file, "Bearer two");
    await ask();
    expect(seen).toEqual([undefined, "Basic dTpw", "Bearer one", "Bearer two"]);
  });

  it("is given up after five seconds without a whole answer", async () => {
    const arrived: (() => void)[] = [];
    const reached = [0, 1].map(() => new Promise<void>((resolve) => arrived.push(resolve)));
    const silent = await serve(() => arrived[0]?.());
    const slow = await serve((_request, response) => {
      response.write('{"status":');
      arrived[1]?.();
    });
    for (const [index, url] of [silent, slow].entries()) {
      const time = createFakeTime();
      const answer = asking(url, { scheduler: time.scheduler })();
      await reached[index];
      time.advance(QUERY_TIMEOUT_MS);
      expect(await answer).toEqual({ error: "Prometheus took more than 5 s" });
      expect(time.pending).toBe(0);
    }
  });

  it("reads 64 KiB and not a byte more", async () => {
    const padded = (bytes: number) => vector("1").padEnd(bytes);
    let text = padded(ANSWER_LIMIT_BYTES);
    const url = await serve((_request, response) => response.end(text));
    expect(await asking(url)()).toEqual({ value: 1 });
    text = padded(ANSWER_LIMIT_BYTES + 1);
    expect(await asking(url)()).toEqual({ error: "Prometheus answered with more than 64 KiB" });
    const endless = await serve((_request, response) => {
      const more = (): void => void response.write("x".repeat(8_192), (error) => error ?? more());
      more();
    });
    expect(await asking(endless)()).toEqual({ error: "Prometheus answered with more than 64 KiB" });
  });

  it("that is broken off, refused or stopped is an error", async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{");
      response.destroy();
    });
    expect(await asking(url)()).toEqual({ error: expect.stringMatching(/broke its answer off|could not be reached/) });
    expect(await asking("http://127.0.0.1:1")()).toEqual({ error: "Prometheus could not be reached (ECONNREFUSED)" });
    const source = createPrometheus({ baseUrl: url, authorization: null, scheduler: createNodeScheduler() });
    expect(await source.query("up", AbortSignal.abort())).toEqual({ error: expect.stringContaining("not be reached") });
  });
});

describe("TE-110 a real Prometheus", () => {
  it("is asked for what it scraped, for what is not there, and for what does not parse", {
    timeout: 90_000,
  }, async (test) => {
    const missing = whyNoPrometheus();
    test.skip(missing !== undefined, missing);
    let requests = 0;
    const exporter = await serve((_request, response) => {
      requests += 50;
      response.end(`cache_errors_ratio 0.031\nrequests_total ${requests}\nbroken NaN\nunbounded +Inf\n`);
    });
    const prometheus = await startPrometheusProcess(exporter.slice("http://".length));
    onTestFinished(() => prometheus.dispose());
    const ask = asking(prometheus.url);

    await eventually(async () => "value" in (await ask("cache_errors_ratio")) && requests > 150, { withinMs: 30_000 });
    expect(await ask("cache_errors_ratio")).toEqual({ value: 0.031 });
    expect(await ask("cache_errors_ratio > bool 0.02")).toEqual({ value: 1 });
    expect(await ask("sum(rate(requests_total[10s]))")).toEqual({ value: expect.any(Number) });
    expect(await ask("scalar(cache_errors_ratio) * 2")).toEqual({ value: 0.062 });
    expect(await ask("cache_errors_ratio > 1")).toEqual({ value: null });
    expect(await ask("never_scraped")).toEqual({ value: null });
    expect(await ask("broken")).toEqual({ value: null });
    expect(await ask("unbounded")).toEqual({ value: null });
    expect(await ask("requests_total[10s]")).toEqual({ error: "the query gives a matrix and no value" });
    expect(await ask("sum(")).toEqual({ error: "Prometheus answered 400 (bad_data)" });
    expect(await ask('label_replace(up, "a", "$1", "b", "(")')).toEqual({
      error: expect.stringMatching(/^Prometheus answered 4\d\d \((bad_data|execution)\)$/),
    });

    prometheus.suspend();
    // The signal takes effect a moment later: until then it may still answer.
    const isSilent = () =>
      fetch(prometheus.url, { signal: AbortSignal.timeout(500) }).then(
        () => false,
        () => true,
      );
    await eventually(isSilent, { withinMs: 30_000 });
    const time = createFakeTime();
    const hanging = asking(prometheus.url, { scheduler: time.scheduler })();
    await eventually(() => time.pending > 0);
    time.advance(QUERY_TIMEOUT_MS);
    expect(await hanging).toEqual({ error: "Prometheus took more than 5 s" });
    prometheus.resume();
    await prometheus.kill();
    expect(await ask("up")).toEqual({ error: "Prometheus could not be reached (ECONNREFUSED)" });
    await prometheus.restart();
    await eventually(async () => "value" in (await ask("cache_errors_ratio")), { withinMs: 30_000 });
  });

  it("that reaches a part of its data only gives no value (TE-108)", { timeout: 60_000 }, async (test) => {
    const missing = whyNoPrometheus();
    test.skip(missing !== undefined, missing);
    const exporter = await serve((_request, response) => response.end("errors_total 0\n"));
    const remoteRead = "http://127.0.0.1:1/read";
    const prometheus = await startPrometheusProcess(exporter.slice("http://".length), { remoteRead });
    onTestFinished(() => prometheus.dispose());
    const isScraped = async () => {
      const answer = await fetch(`${prometheus.url}/api/v1/query?query=errors_total`);
      return (await answer.text()).includes('"value"');
    };
    await eventually(isScraped, { withinMs: 30_000 });
    expect(await asking(prometheus.url)("sum(errors_total)")).toEqual({
      error: "Prometheus warned that the value may rest on a part of the data",
    });
  });
});
