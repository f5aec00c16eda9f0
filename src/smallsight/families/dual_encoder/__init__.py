"""What SigLIP and CLIP share: an encoder of pictures and one of texts, into one space of vectors."""
