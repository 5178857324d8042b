// Keeps the address in step with the page, without a request: text, model, chapter and the visible chapter's options.
(names, text, model, chapter, ...options) => {
  const query = new URLSearchParams(window.location.search);
  for (const key of [...query.keys()]) if (!key.startsWith("__") && key !== "embed") query.delete(key);
  query.set("text", text.slice(0, 4000));
  if (model) query.set("model", model);
  query.set("chapter", chapter);
  names.forEach(([stem, name], index) => {
    if (stem === chapter && options[index] !== null && options[index] !== undefined) query.set(name, options[index]);
  });
  window.history.replaceState(null, "", "?" + query);
}
