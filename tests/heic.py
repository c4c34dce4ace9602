"""A HEIC picture of 48 × 32 px, red on the left and blue on the right, as iPhones write them.

What writes HEIC (x265) is GPL and no dependency, so the file stands here as it is (4:4:4).
"""

from base64 import b85decode

LEFT, RIGHT = (200, 40, 40), (40, 40, 200)
HEIC = b85decode(
    "0000SW^{RQXk}@500000ZE0pPXk}@5ZE0a<0004gZDn*}000000000XXk=`10000000000aA{+70000000000000"
    "0000000B57=IV*mgE07O6l0RRC200001q5uH^00000005)_001LtX>Mi!000000RR916=`l}WdZ;I000310BCk&F"
    "#rGn01j|zbZr0t000010002~X>f9I0002qX>en20001YXm(>m0R#vD005pi000009`FGC|M>U-01pFT0096OKmiN"
    "^|NjIC00093o;Uyi0{{RXx&lC90096hLID8;2mk;B0G>Di00RI39*_hOAhO+Dl-D-_4F&`N00RJI000931R!Dn0R"
    "RX@0l{+^FbI$U000wXZ)|dIV{CW;0RRmE27mwn02FC+aAg1h0000006+i$06+i$04QT@VQ>Hd05AXm0096103ZMW"
    "00IC1|L_0+00RI2|KI=s00IC201$9#cxeCt0009B2nYZG02pa-ZD9Za00000009621%Uzs1%v<q0IY3fVRQfh0H7"
    "!VuLSt*d3616{L26T{2LvY;T^J%6UaWd-hKANpZ@DwcU-!`#caIh_7L@|yJ@s$AQH~j0~zRyzccic6Tl?<e3e*Ml"
    "{0B~_;=1Zm7*6Qebvm&|A6~QwjlDAZK%4GbqE3iVQ~UXgf?p|^GA^;L4jyMxLOMYb`AXWx9-mu6v%{+>9dwxxeZ|"
    "eB%~GS#BFiTd^1KG^ES6Ison"
)
