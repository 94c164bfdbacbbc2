/** What a few letters may mean: names that hold them in order, the closest first. Pure. */

/** How far the letters stand apart in a name; nothing where it does not hold them. */
export function distance(letters: string, name: string): number | undefined {
  const wanted = letters.toLowerCase().replace(/\s+/g, "");
  const within = name.toLowerCase();
  const whole = within.indexOf(letters.toLowerCase().trim());
  if (whole >= 0) return whole === 0 || /\W/.test(within[whole - 1] ?? "") ? 0 : 1;
  let place = -1;
  let apart = 0;
  for (const letter of wanted) {
    const next = within.indexOf(letter, place + 1);
    if (next < 0) return undefined;
    if (place >= 0) apart += next - place - 1;
    place = next;
  }
  return 2 + apart;
}

export function found<One extends { readonly name: string }>(
  letters: string,
  all: readonly One[],
): readonly One[] {
  if (letters.trim() === "") return all;
  return all
    .map((one, place) => ({ one, place, far: distance(letters, one.name) }))
    .filter((one) => one.far !== undefined)
    .sort((a, b) => (a.far ?? 0) - (b.far ?? 0) || a.place - b.place)
    .map(({ one }) => one);
}
