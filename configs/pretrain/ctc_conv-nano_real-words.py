# As parseq_conv-nano_real-words.py, for CTC readers.
# Command:  python tools/pretrain.py THIS --init READER
_base_ = ["./parseq_conv-nano_real-words.py"]

head = dict(_delete_=True, type="ocrpretrain.heads.CTCHead", charset=94)
