/** Shown by `--help` and in the reference, by the name of the command. A test runs them as far as the network. */
export const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  kill: [
    'bunting kill redis-readthrough --reason "p99 at 4 s" --wait',
    'bunting kill --tag redis --reason "redis is down"',
  ],
  restore: ['bunting restore redis-readthrough --reason "fixed in 4.2.1" --wait'],
  "flag create": [
    'bunting flag create redis-readthrough --description "Reads sessions through Redis" --tag redis',
    "bunting flag create page-size --type number --variant small=20 --variant large=50",
  ],
  "flag set": [
    "bunting flag set redis-readthrough --on 25",
    'bunting flag set redis-readthrough --rule eu --when "country in FR,DE" --on 50',
    "bunting flag set page-size --split small=90,large=10 --env staging",
    "bunting flag set redis-readthrough --pin on=qa-17 --wait",
  ],
  "segment set": ['bunting segment set staff --when "email ends_with @example.com"'],
  evaluate: ["bunting evaluate redis-readthrough --key u-1 --attr country=FR --explain"],
  instances: ["bunting instances --behind --env production"],
  "token create": [
    "bunting token create checkout-service --kind server --scope production",
    "bunting token create on-call --kind operator --expires 90d",
  ],
  "audit list": ["bunting audit --flag redis-readthrough --limit 10"],
  export: ["bunting export --json"],
};
