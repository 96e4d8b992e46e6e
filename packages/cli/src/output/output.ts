import type { Failure } from "../failure.ts";
import type { Screen, World } from "../world.ts";
import { renderFailure } from "./failure.ts";
import { createLiveView } from "./live-view.ts";
import { createTheme, type Theme, wantsColours } from "./theme.ts";
import { visible } from "./visible.ts";

export interface OutputOptions {
  readonly json: boolean;
  /** False with `--no-color`. */
  readonly color: boolean;
}

/** Answers go to stdout, for people or for programs; everything else goes to stderr. */
export interface Output {
  readonly isJson: boolean;
  /** The answer of a command. */
  show<Value>(value: Value, render: (value: Value, theme: Theme) => string): void;
  /** The answer as JSON, whoever reads it. */
  showJson(value: unknown): void;
  /** Answers can be drawn again in place: a person looks at a terminal. */
  readonly isLive: boolean;
  /** The answer as it is now, in the place of the one before. Only where {@link isLive}. */
  redraw<Value>(value: Value, render: (value: Value, theme: Theme) => string): void;
  /** One more answer of a series: a line for people, or one line of JSON. */
  append<Value>(value: Value, render: (value: Value, theme: Theme) => string): void;
  /** A message to a person; programs do not get it. */
  say(render: (theme: Theme) => string): void;
  /** A message that is worth interrupting a program's log for. */
  warn(text: string): void;
  fail(failure: Failure): void;
}

type Screens = Pick<World, "stdout" | "stderr" | "env">;

export function createOutput(options: OutputOptions, { stdout, stderr, env }: Screens): Output {
  const themeOf = (screen: Screen): Theme =>
    createTheme({
      columns: screen.columns,
      hasColours: wantsColours({ colour: options.color, isTerminal: screen.isTerminal, env }),
    });
  const [answers, messages] = [themeOf(stdout), themeOf(stderr)];
  const view = createLiveView(stdout);

  const showJson = (value: unknown): void => stdout.write(`${JSON.stringify(value, null, 2)}\n`);

  return {
    isJson: options.json,
    showJson,
    show(value, render) {
      if (options.json) showJson(value);
      else stdout.write(`${render(visible(value), answers)}\n`);
    },
    isLive: stdout.isTerminal && !options.json,
    redraw: (value, render) => view.draw(render(visible(value), themeOf(stdout))),
    append(value, render) {
      if (options.json) stdout.write(`${JSON.stringify(value)}\n`);
      else stdout.write(`${render(visible(value), answers)}\n`);
    },
    say(render) {
      if (!options.json) stderr.write(`${render(messages)}\n`);
    },
    warn(text) {
      stderr.write(`${messages.paint("caution", "!")} ${visible(text)}\n`);
    },
    fail({ report, exitCode }) {
      if (options.json) stderr.write(`${JSON.stringify({ error: { ...report, exitCode } })}\n`);
      else stderr.write(`${renderFailure(visible(report), messages)}\n`);
    },
  };
}
