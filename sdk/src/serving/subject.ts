import type { Subject } from "@bunting/engine";
import type { User } from "../types.ts";

/** Nobody in particular: no targeting key, no attributes. */
const NOBODY: Subject = Object.freeze({});

/** What flags are decided for, from whatever the application calls a user. Never throws. */
export function createSubjectOf<Who>(identify: ((user: Who) => User) | null): (user: Who | undefined) => Subject {
  return (user) => {
    if (user === undefined || user === null) return NOBODY;
    return identify === null ? (user as Subject) : identified(identify, user);
  };
}

/** An application's mapping may throw; an evaluation must not. Whoever it was is then nobody. */
function identified<Who>(identify: (user: Who) => User, user: Who): Subject {
  try {
    return identify(user) ?? NOBODY;
  } catch {
    return NOBODY;
  }
}
