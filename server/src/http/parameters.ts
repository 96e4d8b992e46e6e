import { environmentKey, flagKey, segmentKey } from "@bunting/contracts";
import { z } from "zod";

/** Path parameters. */
export const inEnvironment = z.object({ environment: environmentKey });
export const ofFlag = z.object({ flag: flagKey });
export const ofFlagInEnvironment = z.object({ environment: environmentKey, flag: flagKey });
export const ofSegment = z.object({ segment: segmentKey });
