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
  evaluate: [
    "bunting evaluate redis-readthrough --key u-1 --attr country=FR --explain",
    `bunting evaluate redis-readthrough --context '{"key":"u-1","country":"FR"}'`,
  ],
  "rollout create": [
    "bunting rollout create redis-readthrough",
    "bunting rollout create redis-readthrough --stages 1,10,50,100 --bake 600 --max-error-rate 0.5% --worse-than-control --approval 50 --auto-promote",
    "bunting rollout create redis-readthrough --plan plan.json",
  ],
  "rollout tick": ['bunting rollout tick redis-readthrough "Dashboards are imported"'],
  "rollout start": ["bunting rollout start redis-readthrough --wait"],
  "rollout watch": ["bunting rollout watch redis-readthrough"],
  "rollout promote": ['bunting rollout promote redis-readthrough --comment "the errors are the load test\'s"'],
  "rollout rollback": ['bunting rollout rollback redis-readthrough --comment "tickets from France" --wait'],
  "rollout approve": ['bunting rollout approve redis-readthrough --comment "support agrees"'],
  "rollout decisions": ["bunting rollout decisions redis-readthrough --limit 10"],
  "rollout report": ["bunting rollout report redis-readthrough --out report.md"],
  "rollout replay": ["bunting rollout replay ro-5f1c09a27be4.17"],
  "rollout what-if": ["bunting rollout what-if redis-readthrough --plan stricter.json"],
  "gauge post": ["bunting gauge post lighthouse_score 93"],
  "webhook create": ["bunting webhook create slack-releases --url-file slack-url.txt --format slack"],
  instances: ["bunting instances --behind --env production"],
  "token create": [
    "bunting token create checkout-service --kind server --scope production",
    "bunting token create on-call --kind operator --expires 90d",
    "bunting token create ana --kind operator --role PO,SRE",
  ],
  "audit list": ["bunting audit --flag redis-readthrough --limit 10"],
  export: ["bunting export --json"],
  backup: ["bunting backup bunting-2026-11-21.db"],
};
