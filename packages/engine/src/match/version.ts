import type { SemVer } from "semver";
import compare from "semver/functions/compare.js";
import parse from "semver/functions/parse.js";
import type { Scalar } from "../subject.ts";
import { compareWithOne, type TestOf } from "./test.ts";

const REMEDY = 'Give a semantic version with three numbers, such as "2.10.0" or "2.10.0-rc.1".';

/** semver's own limit. */
const LONGEST = 256;

/** EV-28. `compare` orders as Semantic Versioning 2.0.0, section 11, does. */
export const semverEquals: TestOf = compareWithOne(
  version,
  REMEDY,
  (attribute, value) => compare(attribute, value) === 0,
);
export const semverGreater: TestOf = compareWithOne(
  version,
  REMEDY,
  (attribute, value) => compare(attribute, value) > 0,
);
export const semverLess: TestOf = compareWithOne(version, REMEDY, (attribute, value) => compare(attribute, value) < 0);

function version(value: Scalar): SemVer | undefined {
  // The parser would trim; here white space is a mistake that should be seen.
  if (typeof value !== "string" || value.length > LONGEST || value.trim() !== value) return undefined;
  return parse(value) ?? undefined;
}
