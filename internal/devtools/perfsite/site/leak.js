{
  const kept = [];
  document.getElementById("list").addEventListener("rendered", (event) => {
    kept.push({ node: event.target.cloneNode(true), values: Array.from({ length: 131072 }, (_, i) => i + 0.5) });
  });
}
