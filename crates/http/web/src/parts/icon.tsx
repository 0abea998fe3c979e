// Icons as paths on a 24 x 24 grid, drawn with the text's colour. They are always beside a word or have a label.
const PATHS = {
  check: "M5 12.5l4.5 4.5L19 7.500",
  alert: "M12 4L2.800 19.500h18.400zM12 10v4.500M12 17.200v.1",
  critical: "M8.300 3h7.400L21 8.300v7.400L15.700 21H8.300L3 15.700V8.300zM12 7.500v5.500M12 16.200v.1",
  info: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 11v5.500M12 7.800v.1",
  offline: "M3 3l18 18M8.500 15.500a5 5 0 017 0M5 12a10 10 0 015-2.700M19 12a10 10 0 00-3.500-2.300M12 19.200v.1",
  unheard: "M12 3a9 9 0 100 18 9 9 0 000-18zM8 12h8",
  search: "M10.500 4a6.500 6.500 0 100 13 6.500 6.500 0 000-13zM15.500 15.500L20 20",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2.500M12 19.500V22M2 12h2.500M19.500 12H22M5 5l1.700 1.700M17.300 17.300L19 19M5 19l1.700-1.700M17.300 6.700L19 5",
  moon: "M20 14.500A8.500 8.500 0 019.500 4a8.500 8.500 0 1010.500 10.500z",
  auto: "M12 3a9 9 0 100 18 9 9 0 000-18zM12 3v18M12 7h6.500M12 12h9M12 17h6.500",
  battery: "M3 8h15v8H3zM18 10.500h2.500v3H18M6 12h.1",
  link: "M4 19v-3M9 19v-6M14 19v-9M19 19V6",
  upload: "M12 15V4M7.500 8.500L12 4l4.500 4.500M4 15v5h16v-5",
  download: "M12 4v11M7.500 10.500L12 15l4.500-4.500M4 15v5h16v-5",
  back: "M14.500 5l-7 7 7 7",
  next: "M9.500 5l7 7-7 7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  cloud: "M7 18.500a4.500 4.500 0 01-.5-9A6 6 0 0118 11a3.800 3.800 0 01-.5 7.500z",
  mute: "M6 9a6 6 0 0110.500-4M18 9c0 4 1.500 6 2 7H8M4 16c.5-1 2-3 2-6M10 19.500a2.200 2.200 0 004 0M3 3l18 18",
  out: "M10 4H4v16h6M15 8l4 4-4 4M19 12H9",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
