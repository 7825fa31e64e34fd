// The OpenAPI document as a page: every path with its parameters, its answers, and a way to try it.

import { html } from "./svg.js";

const main = document.getElementById("main");
const contents = document.getElementById("contents");
const document_ = await (await fetch("/openapi.json")).json();

const resolve = (node) =>
  node?.$ref ? node.$ref.split("/").slice(1).reduce((at, key) => at[key], document_) : node;
const named = (schema) => schema?.$ref?.split("/").at(-1);
const anchor = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");

// The little Markdown that descriptions use: paragraphs, code, lists.
function prose(text = "") {
  const inline = (line) =>
    line.split("`").map((part, i) => (i % 2 ? html("code", {}, part) : part));
  return text.split("\n\n").map((block) =>
    block.startsWith("* ")
      ? html("ul", { class: "points" }, block.split(/\n?\* /).slice(1).map((item) => html("li", {}, inline(item))))
      : html("p", {}, inline(block)));
}

function type(schema) {
  if (!schema) return "";
  const name = named(schema);
  if (name) return html("a", { href: `#${anchor(name)}` }, name);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const) return JSON.stringify(schema.const);
  if (schema.anyOf ?? schema.oneOf) return (schema.anyOf ?? schema.oneOf).flatMap((one, i) => (i ? [" or ", type(one)] : [type(one)]));
  if (schema.type === "array") return ["list of ", type(schema.items)].flat();
  const names = [schema.type].flat().join(" or ");
  return schema.format ? `${names} (${schema.format})` : names;
}

function bounds(schema) {
  const parts = [];
  if ("minimum" in schema) parts.push(`from ${schema.minimum}`);
  if ("maximum" in schema) parts.push(`to ${schema.maximum}`);
  if ("default" in schema) parts.push(`default ${schema.default}`);
  return parts.join(", ");
}

function table(head, rows) {
  return html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": head.join(", ") }, html("table", {},
    html("thead", {}, html("tr", {}, head.map((text) => html("th", { scope: "col" }, text)))),
    html("tbody", {}, rows.map((cells) => html("tr", {}, cells.map((cell) => html("td", {}, cell)))))));
}

function example(path, parameters) {
  const form = html("form", { class: "try" });
  for (const parameter of parameters) {
    form.append(html("label", {}, parameter.name,
      html("input", { name: parameter.name, "data-in": parameter.in, placeholder: parameter.schema.default ?? parameter.example ?? "", required: parameter.required === true })));
  }
  const output = html("pre", { hidden: true, tabindex: 0, "aria-label": "Answer" });
  form.append(html("button", { type: "submit", class: "ghost" }, "Try it"));
  form.onsubmit = async (event) => {
    event.preventDefault();
    const query = new URLSearchParams();
    let url = path;
    for (const input of form.querySelectorAll("input")) {
      if (input.dataset.in === "path") url = url.replace(`{${input.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(input.name, input.value);
    }
    const token = sessionStorage.getItem("token");
    output.hidden = false;
    output.textContent = "…";
    try {
      const response = await fetch(query.size ? `${url}?${query}` : url, { headers: token ? { authorization: `Bearer ${token}` } : {} });
      const text = await response.text();
      const isJson = response.headers.get("content-type")?.includes("json");
      output.textContent = `${response.status} ${response.statusText}\n\n${isJson ? JSON.stringify(JSON.parse(text), null, 2) : text}`;
    } catch (error) {
      output.textContent = `The service cannot be reached: ${error.message}`;
    }
  };
  return [form, output];
}

function operation(path, method, spec) {
  const parameters = (spec.parameters ?? []).map(resolve);
  const id = anchor(`${method} ${path}`);
  contents.append(html("li", {}, html("a", { href: `#${id}` }, html("span", { class: "who plain" }, path), html("span", { class: "what" }, spec.summary))));
  const isSocket = path.startsWith("/live");
  main.append(html("section", { class: "card", id },
    html("h2", { class: "path" }, html("span", { class: "method" }, isSocket ? "WS" : method.toUpperCase()), ` ${path}`),
    html("p", { class: "summary" }, spec.summary), prose(spec.description),
    parameters.length === 0 ? null : table(["parameter", "type", "meaning"], parameters.map((parameter) => [
      html("code", {}, parameter.name),
      [type(parameter.schema), bounds(parameter.schema) ? html("small", {}, bounds(parameter.schema)) : null].flat().filter(Boolean),
      parameter.description,
    ])),
    table(["answer", "body", "meaning"], Object.entries(spec.responses).map(([status, response]) => {
      const { description, content = {} } = resolve(response);
      const [kind, media] = Object.entries(content)[0] ?? [];
      return [html("code", {}, status), media?.schema ? type(media.schema) : (kind ?? ""), description];
    })),
    isSocket ? null : example(path, parameters)));
}

function schema(name, spec) {
  const required = new Set(spec.required ?? []);
  main.append(html("section", { class: "card", id: anchor(name) }, html("h2", { class: "path" }, name), prose(spec.description),
    spec.oneOf ? html("p", {}, "One of ", type(spec)) : null,
    spec.properties ? table(["field", "type", "meaning"], Object.entries(spec.properties).map(([field, of]) => [
      html("code", {}, field), [type(of), required.has(field) ? null : html("small", {}, "optional")].flat().filter(Boolean), of.description ?? "",
    ])) : null));
}

main.replaceChildren(html("h1", {}, document_.info.title), ...prose(document_.info.description));
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, spec] of Object.entries(methods)) operation(path, method, spec);
}
main.append(html("h1", { id: "problems" }, "Errors"), ...prose(document_["x-problems-description"]));
for (const [name, text] of Object.entries(document_["x-problems"])) {
  main.append(html("section", { class: "card", id: name }, html("h2", { class: "path" }, name), prose(text)));
}
main.append(html("h1", {}, "Types of the answers"));
for (const [name, spec] of Object.entries(document_.components.schemas)) schema(name, spec);
main.removeAttribute("aria-busy");
// The browser looked for the anchor before there was one.
document.getElementById(location.hash.slice(1))?.scrollIntoView();
