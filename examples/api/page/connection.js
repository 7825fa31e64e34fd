// A WebSocket that comes back by itself, and goes on from where it was.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
// Heartbeats come every 15 seconds. Without any sign of life for longer the connection is dead, whatever it says.
const SILENCE = 40_000;
// Answers move on with every slide. If they do not, they are stale.
const STALE = 45_000;

export class Connection {
  // `onMessage(message)`, `onState(state, detail)`: connecting, live, stale, failed.
  constructor(path, { token, onMessage, onState }) {
    Object.assign(this, { path, token, onMessage, onState });
    this.life = this.since = this.newest = null;
    this.tries = 0;
    this.watch = setInterval(() => this.look(), 1000);
    this.wake = () => this.retry === undefined || this.open();
    addEventListener("online", this.wake);
    this.open();
  }

  open() {
    clearTimeout(this.retry);
    this.retry = undefined;
    const url = new URL(this.path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("history", "7200");
    if (this.since) {
      url.searchParams.set("since", this.since);
      url.searchParams.set("life", this.life);
    }
    if (this.tries === 0) this.onState(this.since ? "stale" : "connecting", "Connecting");
    this.heard = this.moved = performance.now();
    const protocols = this.token ? ["telemetra", `bearer.${this.token}`] : ["telemetra"];
    const socket = (this.socket = new WebSocket(url, protocols));
    socket.onmessage = ({ data }) => this.socket === socket && this.receive(JSON.parse(data));
    socket.onclose = ({ reason }) => this.socket === socket && this.lost(reason);
  }

  receive(message) {
    this.heard = performance.now();
    this.tries = 0;
    if (message.life) this.life = message.life;
    const reached = message.time ?? message.as_of;
    // Of the newest time there may be more to come, so what is resumed from is the one before. RFC 3339 in UTC sorts as text.
    if (message.type === "snapshot") this.since = this.newest = message.as_of;
    else if (message.time > (this.newest ?? "")) [this.since, this.newest] = [this.newest ?? this.since, message.time];
    if (reached && reached !== this.reached) {
      this.reached = reached;
      this.moved = this.heard;
    }
    this.onMessage(message);
    this.onState("live");
  }

  lost(reason) {
    this.socket = null;
    this.tries += 1;
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(this.tries - 1, 8)) * (0.75 + Math.random() / 2);
    this.retry = setTimeout(() => this.open(), pause);
    const why = reason ? `${reason[0].toUpperCase()}${reason.slice(1)}` : "The connection was lost";
    const state = this.tries < 4 && this.since ? "stale" : this.tries < 4 ? "connecting" : "failed";
    this.onState(state, state === "failed" ? "The service cannot be reached" : why);
  }

  look() {
    if (!this.socket || this.socket.readyState !== WebSocket.OPEN) return;
    const now = performance.now();
    if (now - this.heard > SILENCE) {
      this.socket.close();
      this.lost("The service stopped answering");
    } else if (now - this.moved > STALE) {
      this.onState("stale", `Nothing new for ${Math.round((now - this.moved) / 1000)} s`);
    }
  }

  close() {
    clearInterval(this.watch);
    clearTimeout(this.retry);
    removeEventListener("online", this.wake);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
