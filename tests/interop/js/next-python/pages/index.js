export default function Page() {
  return <p>This page is served by the Pages Router.</p>;
}
