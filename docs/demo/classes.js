/* The classes that all pictures of the page are drawn of: a menu each, whose choice is in the page's
   address. */

/** The names of the classes that the address asks for, by column: of the others, each picture has its
    own. */
export function chosen(info) {
  const wanted = new URLSearchParams(location.search);
  return Object.fromEntries(
    (info.classes ?? [])
      .map(({ column, names }) => [column, names.find((name) => name === wanted.get(column))])
      .filter(([, name]) => name !== undefined),
  );
}

/** Fills `root` with the menus; nothing where the model knows no classes. */
export function menus(info, root) {
  const now = chosen(info);
  for (const { column, names } of info.classes ?? []) {
    const label = document.createElement("label");
    const menu = document.createElement("select");
    menu.autocomplete = "off";
    menu.append(new Option("any", ""));
    menu.append(...names.map((name) => new Option(name, name, false, name === now[column])));
    menu.addEventListener("change", () => {
      const address = new URL(location.href);
      if (menu.selectedIndex === 0) address.searchParams.delete(column);
      else address.searchParams.set(column, menu.value);
      location.assign(address); // draws everything anew; what is kept stays
    });
    label.append(`${column} `, menu);
    root.append(label);
  }
}
