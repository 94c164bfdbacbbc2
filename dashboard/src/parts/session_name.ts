/** Whether a text names a session: "user=7". */
export const isSession = (text: string): boolean => /^[^=]+=./.test(text);
