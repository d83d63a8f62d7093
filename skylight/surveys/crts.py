"""The Catalina survey's periodic variables (Drake et al. 2014, ApJS 213, 9)."""

# Catalina's number of each class and its name.
CLASSES = {
    1: "EW",
    2: "EA",
    3: "beta Lyrae",
    4: "RRab",
    5: "RRc",
    6: "RRd",
    7: "Blazhko",
    8: "RS CVn",
    9: "ACEP",
    10: "Cep-II",
    11: "HADS",
    12: "LADS",
    13: "LPV",
    14: "ELL",
    15: "Hump",
    16: "PCEB",
    17: "EAup",
}
