// The program under test: started, told events, stopped.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = process.env.API ?? fileURLToPath(new URL("../../target/release/examples/api", import.meta.url));

export class Service {
  static async start(...args) {
    const service = new Service();
    service.process = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    service.ended = once(service.process, "exit");
    for await (const line of createInterface({ input: service.process.stdout })) {
      const address = line.match(/^dashboard +(http\S+)/);
      if (address) {
        service.url = address[1];
        service.process.stdout.resume();
        return service;
      }
    }
    throw new Error(`${program} ended before it listened`);
  }

  get port() {
    return new URL(this.url).port;
  }

  push(events) {
    this.write(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  }

  write(text) {
    this.process.stdin.write(text);
  }

  async stop() {
    this.process.kill("SIGINT");
    const [code] = await this.ended;
    return code;
  }
}

let events = 0;

// Messages of one minute, evenly spread.
export function chat(stream_id, from, count) {
  return Array.from({ length: count }, (_, n) => {
    events += 1;
    return {
      event_id: `e${events}`, timestamp: new Date(from + (n * 60_000) / count).toISOString(), stream_id,
      user_id: `u${n % 9}`, username: `u${n % 9}`, message: "what a great game", emotes: ["Kappa"],
    };
  });
}

export function viewers(stream_id, at, viewer_count) {
  events += 1;
  return { event_id: `e${events}`, timestamp: new Date(at).toISOString(), stream_id, viewer_count };
}

export function meta(stream_id, at, event_type, new_title) {
  events += 1;
  return { event_id: `e${events}`, timestamp: new Date(at).toISOString(), stream_id, event_type, new_title };
}

export function gift(stream_id, at, amount, currency) {
  events += 1;
  return {
    event_id: `e${events}`, timestamp: new Date(at).toISOString(), stream_id, user_id: "u1", username: "u1",
    transaction_type: "donation", amount, currency,
  };
}
