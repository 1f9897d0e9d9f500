import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

interface Described {
  properties?: Record<string, Described>;
  allOf?: Described[];
  required?: string[];
}

/** The settings as the API's description has them: a map that the generated types leave out. */
function described(): Record<string, Described> {
  const path = join(import.meta.dirname, "../../../docs/openapi.json");
  const document = JSON.parse(readFileSync(path, "utf8")) as {
    paths: Record<string, { get: { responses: Record<string, { content: Record<string, { schema: Described }> }> } }>;
  };
  const answer = document.paths["/1.0/configuration"]?.get.responses["200"]?.content["application/json"]?.schema;
  const metadata = answer?.allOf?.map((part) => part.properties?.["metadata"]).find((part) => part !== undefined);
  return metadata?.properties ?? {};
}

it.each(["version", "grafana_base_url", "cluster_connector_domain", "cluster_connector_port", "oidc_client_secret"])(
  "the server has the setting %s, with the parts that pages read",
  (key) => {
    expect(described()[key]?.required).toEqual(["value", "title", "description"]);
  },
);
