/** Who looks at the page, and what they may do. */

import { signal } from "@preact/signals";
import { ask, locked } from "./http";

type Role = "read" | "operate" | "admin";

export interface Who {
  readonly name: string;
  readonly role: Role;
  /** By a cookie of this page, which can be given back. */
  readonly byCookie: boolean;
}

export const who = signal<Who | undefined>(undefined);

/** Whether whoever looks may change anything. The server judges all the same. */
export const mayOperate = (): boolean => who.value !== undefined && who.value.role !== "read";

/** Asks the server who we are; where it does not know, `locked` becomes true. */
export async function recognise(): Promise<void> {
  who.value = (await ask<{ data: Who }>("session")).data;
}

/** Gives a key. Throws `Refused` where the server does not know it. */
export async function logIn(key: string): Promise<void> {
  who.value = (await ask<{ data: Who }>("session", { method: "POST", body: { key } })).data;
  locked.value = false;
}

export async function logOut(): Promise<void> {
  await ask("session", { method: "DELETE" });
  who.value = undefined;
  locked.value = true;
}
