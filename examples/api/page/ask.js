// Questions to the API, with the token if the service wants one.

import { html } from "./svg.js";

const listeners = new Set();
let token = sessionStorage.getItem("token");
let dialog;

export const knownToken = () => token;
// Called when a token was entered.
export const onToken = (listener) => listeners.add(listener);

export const ask = (path) => answer(path, "application/json", 8000, (response) => response.json().catch(() => ({})));

// A file, which may take a while.
export const askFile = (path) => answer(path, "*/*", 120_000, (response) => (response.ok ? response.blob() : response.json().catch(() => ({}))));

async function answer(path, accept, patience, read) {
  let response;
  try {
    const headers = { accept, ...(token ? { authorization: `Bearer ${token}` } : {}) };
    response = await fetch(path, { headers, signal: AbortSignal.timeout(patience) });
  } catch {
    throw new Error("The service cannot be reached");
  }
  if (response.status === 401) {
    login();
    throw new Error("This service needs a token");
  }
  const body = await read(response);
  if (!response.ok) throw new Error(body.detail ?? `The service answered with status ${response.status}`);
  return body;
}

function login() {
  dialog ??= build();
  if (!dialog.open) dialog.showModal();
}

function build() {
  const input = html("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const form = html("form", { method: "dialog" },
    html("h2", { id: "login-title" }, "This service needs a token"),
    html("label", {}, "Token ", input), html("button", { type: "submit" }, "Connect"));
  const made = html("dialog", { id: "login", "aria-labelledby": "login-title" }, form);
  made.onclose = () => {
    token = input.value.trim();
    input.value = "";
    sessionStorage.setItem("token", token);
    listeners.forEach((listener) => listener());
  };
  document.body.append(made);
  return made;
}
