// The only file that knows the process: it handles signals and ends it.

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const isSupported = major === 20 ? minor >= 19 : major === 22 ? minor >= 12 : major > 22;

if (!isSupported) {
  console.error(`Bunting needs Node.js 20.19, 22.12 or newer; this is ${process.version}.`);
  process.exit(1);
}

// Loaded only now: an older Node.js would fail inside these files with a message that helps nobody.
const { runServer } = await import("./run.ts");

const exitCode = await runServer({
  environment: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  onStopSignal: (listener) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, listener);
  },
  monotonic: () => performance.now(),
});
process.exit(exitCode);
