import { readConfig, startServer } from "@bunting/server";

/** The one file that knows the server. */
export async function serve(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const { url } = await startServer(readConfig(env));
  process.stdout.write(`Bunting serves ${url}\n`);
}
