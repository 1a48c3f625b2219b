document.getElementById("show").addEventListener("click", () => {
  const end = performance.now() + HANDLER_MS;
  while (performance.now() < end);
}, { capture: true });
