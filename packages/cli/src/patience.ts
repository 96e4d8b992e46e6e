/** A time limit that begins anew with each sign of life. */
export interface Patience {
  /** For one try: aborted with a `TimeoutError`. */
  begin(): AbortSignal;
  /** Something came. */
  renew(): void;
  end(): void;
}

/** @param after runs a task after so many milliseconds, unless what it gives back was called before */
export function createPatience(ms: number, after = afterTimeout): Patience {
  let controller = new AbortController();
  let cancel = (): void => undefined;
  const renew = (): void => {
    cancel();
    cancel = after(ms, () => controller.abort(new DOMException("Nothing came in time.", "TimeoutError")));
  };
  return {
    begin() {
      controller = new AbortController();
      renew();
      return controller.signal;
    },
    renew,
    end: () => cancel(),
  };
}

function afterTimeout(ms: number, task: () => void): () => void {
  const timer = setTimeout(task, ms);
  return () => clearTimeout(timer);
}
