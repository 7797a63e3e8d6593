/* The classes that all pictures of the page are drawn of: a menu each, whose choice is in the page's
   address. */

/** The name of the class that is drawn, by column: the address's, else the first. */
export function chosen(info) {
  const wanted = new URLSearchParams(location.search);
  return Object.fromEntries(
    (info.classes ?? []).map(({ column, names }) => {
      const name = wanted.get(column);
      return [column, names.includes(name) ? name : names[0]];
    }),
  );
}

/** Fills `root` with the menus; nothing where the model knows no classes. */
export function menus(info, root) {
  const now = chosen(info);
  for (const { column, names } of info.classes ?? []) {
    const label = document.createElement("label");
    const menu = document.createElement("select");
    menu.autocomplete = "off";
    menu.append(...names.map((name) => new Option(name, name, false, name === now[column])));
    menu.addEventListener("change", () => {
      const address = new URL(location.href);
      address.searchParams.set(column, menu.value);
      location.assign(address); // draws everything anew; what is kept stays
    });
    label.append(`${column} `, menu);
    root.append(label);
  }
}
