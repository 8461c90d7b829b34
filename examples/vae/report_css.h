/* report_css.h: how a report looks in a browser: light and dark, wide and narrow, on paper. Read next: report.c. */
#ifndef VAE_REPORT_CSS_H
#define VAE_REPORT_CSS_H

/* clang-format off */
static const char report_css[] =
    ":root{--paper:#fff;--panel:#f3f4f6;--ink:#1a1a1a;--dim:#595959;--line:#dadde0;color-scheme:light dark}\n"
    "@media (prefers-color-scheme:dark){:root{--paper:#16181b;--panel:#22262b;--ink:#ececec;--dim:#a9aeb4;--line:#3a3f45}}\n"
    "*{box-sizing:border-box}\n"
    "html{font:16px/1.5 system-ui,\"Segoe UI\",Roboto,Arial,sans-serif;background:var(--paper);color:var(--ink)}\n"
    "body{margin:0}main{max-width:60rem;margin:0 auto;padding:1rem 1.2rem 3rem}\n"
    "h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}\n"
    "h2{font-size:1.25rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}\n"
    ".formula{font-family:\"STIX Two Math\",\"Cambria Math\",Georgia,serif;font-size:1.2rem;overflow-wrap:anywhere;"
        "background:var(--panel);padding:.6rem .9rem;border-radius:6px}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;max-width:100%}\n"
    "th,td{text-align:left;vertical-align:top;padding:.15rem 1.2rem .15rem 0;border-bottom:1px solid var(--line);font-weight:400}\n"
    "th{color:var(--dim);white-space:nowrap}td{overflow-wrap:anywhere}\n"
    "figure{margin:0}figcaption,.note{color:var(--dim);font-size:.92rem;max-width:44rem}\n"
    "img,svg{max-width:100%;height:auto;display:block}.charts{display:flex;flex-wrap:wrap;gap:.5rem}\n"
    "pre{background:var(--panel);padding:.5rem .8rem;border-radius:6px;overflow-x:auto;font-size:.85rem}\n"
    "@media print{:root{--paper:#fff;--panel:#fff;--ink:#000;--dim:#444;--line:#bbb}html{font-size:10pt}main{max-width:none;padding:0}"
        "section,figure,svg{break-inside:avoid}h2{break-after:avoid}pre{white-space:pre-wrap;padding:0}}\n";
/* clang-format on */

#endif
