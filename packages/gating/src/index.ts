export { dispersion, GROUP_COUNT, type GroupCounts, pearsonDispersion, robustLogEvidence } from "./dispersion.ts";
