const { node, v8 } = process.versions;

/** Stored with each decision of a rollout: a replay is byte for byte within one engine. */
export const ENGINE = `node ${node}, v8 ${v8}`;
