import { initial } from "./0001-initial.ts";
import { rollouts } from "./0002-rollouts.ts";
import { webhooks } from "./0003-webhooks.ts";
import type { Migration } from "./migration.ts";

/** Every migration there is, oldest first. */
export const MIGRATIONS: readonly Migration[] = [initial, rollouts, webhooks];
