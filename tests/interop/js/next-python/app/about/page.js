export default function Page() {
  return <p>This page is served by the App Router.</p>;
}
