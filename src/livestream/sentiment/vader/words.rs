//! VADER's lists of words that change the valence of others.

/// Words that strengthen the word after them.
pub(super) const BOOSTERS: &str = "absolutely amazingly awfully completely considerable considerably decidedly deeply \
     effing enormous enormously entirely especially exceptional exceptionally extreme extremely fabulously flipping \
     flippin frackin fracking fricking frickin frigging friggin fully fuckin fucking fuggin fugging greatly hella \
     highly hugely incredible incredibly intensely major majorly more most particularly purely quite really \
     remarkably so substantially thoroughly total totally tremendous tremendously uber unbelievably unusually utter \
     utterly very";

/// Words that weaken the word after them. *Just enough*, *kind of* and *sort of* are pairs, which the rules
/// handle.
pub(super) const DAMPENERS: &str = "almost barely hardly kinda kindof kind-of less little marginal marginally \
     occasional occasionally partly scarce scarcely slight slightly somewhat sorta sortof sort-of";

/// Words that negate the words after them, as does every word with *n't* in it.
pub(super) const NEGATIONS: &str = "aint arent cannot cant couldnt darent didnt doesnt dont hadnt hasnt havent isnt \
     mightnt mustnt neither neednt never none nope nor not nothing nowhere oughtnt shant shouldnt uhuh wasnt werent \
     uh-uh without wont wouldnt rarely seldom despite";
