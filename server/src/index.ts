export { type Config, ConfigError, readConfig, SETTINGS } from "./config.ts";
export { type Host, runServer, type ServerExitCode } from "./run.ts";
export { createServer, type RunningServer, type Server, type ServerDeps, startServer } from "./server.ts";
export { StartupError, type StartupErrorCode } from "./startup-error.ts";
